# What Pentimento says, in English. Sentence case, no full stop in labels, "…" where more input follows.

app-name = Pentimento
