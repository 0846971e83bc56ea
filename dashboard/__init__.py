"""The pages in the browser: shows the workspace and asks for runs. Imports Streamlit, never torch."""
