"""The Trade-offs page's own rooms: the stored points, the choice among them, the chart, what is picked and managed."""
