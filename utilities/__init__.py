"""The ground floor: task types, tracks, errors, files, options, settings files, fingerprints, processes and git."""
