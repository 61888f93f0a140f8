# Your own words for English mails. Remove the # from a line, change the text, and reload both programs with the command
# that `cargo dev` prints. words/catalogues/en.ftl lists all messages.

# mail-button = Sign in
