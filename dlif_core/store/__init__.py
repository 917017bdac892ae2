"""The store: layout, commit protocol, fingerprints, catalog."""
