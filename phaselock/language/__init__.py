"""The languages of PhaseLock: texts that can be translated, and the catalogue of the user's language."""
