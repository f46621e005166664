"""The history of the tables, as Alembic migrations; `callguard.database.migrate` runs them."""
