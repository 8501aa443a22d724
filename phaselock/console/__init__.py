"""The command line: types of arguments, and output for people and programs."""
