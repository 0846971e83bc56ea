"""Text for people and from people: numbers in words, escaping, terminals, TOML within limits, the glossary."""
