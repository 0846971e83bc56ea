"""The shared language of Condenser: recipes, events, runs and the catalog. Imports neither torch nor Streamlit."""
