"""``keel demo``: simulated people with hidden tastes answer, are scored on unseen texts, and are audited.

``world`` holds the people and the test (pure), ``session`` plays them against a real service over HTTP, ``report``
turns what was measured into numbers, a table and a plot.
"""
