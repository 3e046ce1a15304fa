"""Answers to coefficients: choice model, posterior, population, acquisition, stopping, explaining, simulated people.

Pure: tensors and a seeded generator in, frozen dataclasses out; knows no text.
"""
