"""Everything between an MP3 file and the loudspeaker."""
