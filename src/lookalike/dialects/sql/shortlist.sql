-- The rows whose estimates are best: parts of lookalike's procedures.

DROP PROCEDURE IF EXISTS lookalike__shortlist //

-- Collects the ids of the best estimates in the nearest cells, and of the rows without codes.
CREATE PROCEDURE lookalike__shortlist(
    IN n_probes INT UNSIGNED, IN gap DOUBLE, IN wanted INT UNSIGNED, IN n_rows INT UNSIGNED)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: the rows to compare exactly'
BEGIN
    DECLARE slope VARCHAR(100) DEFAULT IF(@lookalike_metric = 'dot',
        'IF(half_square > 0, base / (2e0 * half_square), 0e0)', '1e0');
    DECLARE other VARCHAR(100) DEFAULT IF(@lookalike_metric = 'dot',
        CONCAT(lookalike__double({{spreads}} / SQRT(@lookalike_dim)), ' * spread'), '-half_square');
    DECLARE joined LONGTEXT DEFAULT IF(@lookalike_condition = '', '', CONCAT(
        'JOIN ', @lookalike_rows, ' AS v ON ', @lookalike_id, ' = c.id', @lookalike_condition));
    SET @lookalike_text = '
INSERT IGNORE INTO lookalike__found (id, is_coded)
SELECT id, 1 FROM (
    SELECT STRAIGHT_JOIN c.id
    FROM (
        SELECT cell, base, «slope» AS slope
        FROM (
            SELECT scored.*, MAX(score) OVER () AS best, ROW_NUMBER() OVER (ORDER BY score DESC) AS n
            FROM («cells») AS scored
        ) AS ranked WHERE score >= best - «gap» OR n <= «wanted»
    ) AS probes
    JOIN «codes» AS c ON c.cell = probes.cell
    «joined»
    ORDER BY probes.base + probes.slope * (c.bias - c.shift)
             + «step» * c.scale * ({{middle}} * 8 * «w» - («differences»)) DESC
    LIMIT «rows»
) AS shortlist';
    SET @lookalike_text = REPLACE(@lookalike_text, '«cells»', lookalike__nearest_cells(other, n_probes)),
        @lookalike_text = REPLACE(@lookalike_text, '«slope»', slope),
        @lookalike_text = REPLACE(@lookalike_text, '«wanted»', CAST(wanted AS CHAR)),
        @lookalike_text = REPLACE(@lookalike_text, '«rows»', CAST(n_rows AS CHAR)),
        @lookalike_text = REPLACE(@lookalike_text, '«gap»', lookalike__double(gap)),
        @lookalike_text = REPLACE(@lookalike_text, '«codes»', @lookalike_codes),
        @lookalike_text = REPLACE(@lookalike_text, '«differences»', lookalike__differences('c.')),
        @lookalike_text = REPLACE(@lookalike_text, '«step»', lookalike__double(@lookalike_step)),
        @lookalike_text = REPLACE(@lookalike_text, '«w»', CAST(lookalike__width() AS CHAR)),
        @lookalike_text = REPLACE(@lookalike_text, '«joined»', joined);
    CALL lookalike__run(@lookalike_text);
    CALL lookalike__run(CONCAT(
        'INSERT IGNORE INTO lookalike__found (id, is_coded) SELECT ', @lookalike_id, ', 0 FROM ',
        @lookalike_rows, ' AS v WHERE ', lookalike__above_tail(),
        ' AND ', @lookalike_vector, ' IS NOT NULL', @lookalike_condition));
    IF @lookalike_kept = 'triggers' THEN
        CALL lookalike__run(CONCAT(
            'INSERT INTO lookalike__found (id, is_coded) SELECT id, 0 FROM `', @lookalike_key,
            '_changes` ON DUPLICATE KEY UPDATE is_coded = 0'));
    END IF;
END //

DROP FUNCTION IF EXISTS lookalike__above_tail //

CREATE FUNCTION lookalike__above_tail() RETURNS TEXT
    NOT DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: the condition of rows that were not encoded yet'
RETURN COALESCE(CONCAT(@lookalike_id, ' > ', @lookalike_through), 'TRUE') //

DROP FUNCTION IF EXISTS lookalike__nearest_cells //

-- Returns a statement that selects n cells with `base`, the product of query and centroid, and the
-- best `score`: base + other. Codes choose some more, and the planes the best of these.
CREATE FUNCTION lookalike__nearest_cells(other TEXT, n INT UNSIGNED) RETURNS LONGTEXT
    NOT DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: the statement that chooses cells'
BEGIN
    DECLARE statement LONGTEXT DEFAULT '
SELECT products.*, base + «other» AS score
FROM (
    SELECT cell, half_square, spread, «step» * step * (
        {{fine}}
        - {{middle}} * level_sum - 127.5e0 * «level_sum» + {{middle}} * 127.5e0 * 8 * «w»
    ) AS base
    FROM (
        SELECT cell FROM «cells»
        ORDER BY «step» * scale * ({{middle}} * 8 * «w» - («differences»)) + «other» DESC
        LIMIT «more»
    ) AS near STRAIGHT_JOIN «cells» USING (cell)
) AS products ORDER BY score DESC LIMIT «n»';
    SET statement = REPLACE(statement, '«differences»', lookalike__differences('')),
        statement = REPLACE(statement, '«other»', other),
        statement = REPLACE(statement, '«more»', CAST(4 * n + 16 AS CHAR)),
        statement = REPLACE(statement, '«n»', CAST(n AS CHAR)),
        statement = REPLACE(statement, '«step»', lookalike__double(@lookalike_step)),
        statement = REPLACE(statement, '«level_sum»', CAST({{level_sum}} AS CHAR)),
        statement = REPLACE(statement, '«w»', CAST(lookalike__width() AS CHAR)),
        statement = REPLACE(statement, '«cells»', @lookalike_cells);
    RETURN statement;
END //

DROP FUNCTION IF EXISTS lookalike__differences //

CREATE FUNCTION lookalike__differences(alias VARCHAR(10)) RETURNS TEXT
    NOT DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: the weighted number of bits in which a code and the planes differ'
RETURN REPLACE(IF(@lookalike_native, 'lookalike_native_estimate(«c»code, @lookalike_planes)',
                  '{{differences}}'), '«c»', alias) //

DROP FUNCTION IF EXISTS lookalike__width //

CREATE FUNCTION lookalike__width() RETURNS INT
    NOT DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: bytes of a code'
RETURN {{width}} * CEIL(@lookalike_dim / {{width}}) DIV 8 //

DROP FUNCTION IF EXISTS lookalike__double //

CREATE FUNCTION lookalike__double(x DOUBLE) RETURNS VARCHAR(40)
    DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: a number as a DOUBLE literal'
RETURN IF(LOCATE('e', x), CAST(x AS CHAR), CONCAT(x, 'e0')) //
