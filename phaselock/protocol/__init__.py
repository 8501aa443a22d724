"""The wire protocol: messages, their encoding, and frames."""
