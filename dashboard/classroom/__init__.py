"""A class on one dashboard: who may ask, under which name, in which corner, and what the teacher sees."""
