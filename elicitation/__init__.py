"""Answers to coefficients: choice model, posterior, population, acquisition, stopping, explaining (pure, knows no text)."""
