"""Text for people and from people: numbers in words, escaping, terminals, TOML and paths in bounds, the glossary."""
