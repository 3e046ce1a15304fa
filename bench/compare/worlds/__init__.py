"""The suites' worlds: ``worlds(seed, quick, data)`` of each module gives one seed's people, features and judgments."""
