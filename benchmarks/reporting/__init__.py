"""Records -> tables, tests, figures and the report."""
