exec "{{ python-executable }}" -I -m phaselock "$@"
