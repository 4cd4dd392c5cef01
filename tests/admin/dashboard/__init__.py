"""The dashboard in a browser, in front of a double of the API."""
