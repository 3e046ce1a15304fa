"""The Streamlit pages; they talk to the service over HTTP through the client package alone."""
