"""The commands beside hosting and joining: doctor, trace, demo; and what they share."""
