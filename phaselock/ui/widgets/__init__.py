"""The widgets of the screens. They know nothing of sessions."""
