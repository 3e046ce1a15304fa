"""The commands of ``keel``, by topic. Heavy imports happen when a command runs."""
