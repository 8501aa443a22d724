"""The session as pure state machines: messages, commands and the time go in, effects come out."""
