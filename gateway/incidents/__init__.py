"""The review of what was stopped: rules as values here, SQL in gateway/store/incident*.py."""
