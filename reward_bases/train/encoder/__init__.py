"""The encoder itself tuned on judgments."""
