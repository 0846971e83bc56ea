"""Charts: an info function (a table: what is shown) and a figure function (how) for each; none knows the page."""
