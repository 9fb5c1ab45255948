    -- Rotates the query as lookalike.index.rotation does: the row n of `turned` has 32 numbers of it,
    -- each times SQRT(32 * n_rows).
    WITH matrix AS (
        SELECT r, {{pivoted}}
        FROM (
            SELECT r, i - 1 & {{last_column}} AS j,
                   IF(ORD(SUBSTR(signs, (i - 1 >> 3) + 1, 1)) >> (7 - (i - 1 & 7)) & 1, -x, x) AS x
            FROM lookalike__query FORCE INDEX (in_rows)
        ) AS signed GROUP BY r
    ), mixed AS (
        SELECT r, {{mixed}} FROM matrix LIMIT 1048576
    ), coefficients AS (
        SELECT line.n, r, IF(is_power, 1e0 - 2e0 * (BIT_COUNT(line.n - 1 & r) & 1),
                             COS(2e0 * PI() * ((line.n - 1) * r MOD n_rows) / n_rows)
                             + SIN(2e0 * PI() * ((line.n - 1) * r MOD n_rows) / n_rows)) AS a
        FROM JSON_TABLE(places, '$[*]' COLUMNS (n FOR ORDINALITY)) AS line
        JOIN (SELECT n - 1 AS r FROM JSON_TABLE(places, '$[*]' COLUMNS (n FOR ORDINALITY)) AS rs
             ) AS every_row
        LIMIT 1048576
    ), turned AS (
        SELECT line.n, sums.*
        FROM JSON_TABLE(places, '$[*]' COLUMNS (n FOR ORDINALITY)) AS line
        JOIN LATERAL (
            SELECT STRAIGHT_JOIN {{turned}}
            FROM coefficients JOIN mixed ON mixed.r = coefficients.r
            WHERE coefficients.n = line.n
        ) AS sums
