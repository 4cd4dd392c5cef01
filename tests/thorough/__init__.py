"""What takes minutes, or programs that most machines do not have: ``make test-all``. Nothing is skipped there."""
