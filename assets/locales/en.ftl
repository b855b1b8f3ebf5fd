# What Pentimento says, in English. Sentence case, no full stop in labels, "…" where more input follows.

app-name = Pentimento

# Canvas: files
dialog-open-picture = Open picture
dialog-load-mask = Load mask
dialog-save-copy = Save a copy
dialog-pictures = Pictures
dialog-png = PNG picture
pasted-picture = Pasted picture
untitled = Untitled
