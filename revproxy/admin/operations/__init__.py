"""What the API can be asked, subject by subject."""
