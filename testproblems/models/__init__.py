"""The networks of the test problems, as plain functions and modules."""
