"""Published ways of learning one person's reward from few answers, each by its own rule, on the features Keel gets."""
