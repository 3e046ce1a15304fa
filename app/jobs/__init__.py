"""Long work behind a command: refit, loop, tune, calibrate, migrate, train; and how each result is shown."""
