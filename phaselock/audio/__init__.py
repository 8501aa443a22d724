"""Everything between a music file and the loudspeaker."""
