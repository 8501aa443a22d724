"""The services of the user's desktop: media keys, notifications, file dialogs and settings; on Linux over D-Bus."""
