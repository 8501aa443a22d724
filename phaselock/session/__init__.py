"""The session as pure state machines. Messages, commands and the time go in; effects come out."""
