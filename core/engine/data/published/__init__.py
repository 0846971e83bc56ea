"""Published datasets: downloaded, checked, read and cached."""
