# Your own words for English mails. Remove the # from a line, change its text, and reload both programs:
# `cargo dev` prints the command. All messages: words/catalogues/en.ftl

# mail-button = Sign in
