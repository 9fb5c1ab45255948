#!/bin/sh
# Images like a stored one: search.sh cat.jpg [products]. The options of mysql are in ~/.my.cnf or a file of yours.
set -eu
name=$(printf %s "$1" | od -An -v -tx1 | tr -d ' \n')  # in hexadecimal it needs no quotes
mysql ${MYSQL_OPTIONS:+--defaults-extra-file="$MYSQL_OPTIONS"} --skip-column-names --batch <<SQL
SELECT id, CAST(embedding AS BINARY) INTO @id, @vector
    FROM image_embeddings WHERE image_name = CONVERT(x'$name' USING utf8mb4);
CALL lookalike_similar('image_embeddings', @id, 5);
CALL lookalike_search('${2:-image_embeddings}', @vector, 5);
SQL
