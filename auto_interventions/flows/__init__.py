"""The order of the work under Prefect."""
