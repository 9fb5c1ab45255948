-- lookalike's searches as stored procedures: for programs in any language, without Python.
--
--   CALL lookalike_search(name, vector, k)                  id, name, similarity; best first
--   CALL lookalike_search_with(name, vector, k, options)    the same with options, as JSON
--   CALL lookalike_similar(name, id, k)                     what is similar to a stored row
--   CALL lookalike_search_into(name, vector, k, options)    fills the temporary table
--   CALL lookalike_similar_into(name, id, k, options)       lookalike_result, and prints nothing
--
-- name: of a collection or an index. vector: the bytes of a VECTOR, or text such as '[1, 2.5]'.
-- Procedures with two underscores are parts of these. They pass values in session variables
-- @lookalike_..., because prepared statements can read no others.
--
-- A search reads the same codes as Python's. It rounds the query to {{n_planes}} bits a number, once
-- for all cells; see lookalike.index.codes.

DROP PROCEDURE IF EXISTS lookalike__open //

CREATE PROCEDURE lookalike__open(IN index_name TEXT)
    READS SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: find an index by name'
BEGIN
    DECLARE message VARCHAR(512);
    DECLARE CONTINUE HANDLER FOR NOT FOUND BEGIN END;
    DECLARE CONTINUE HANDLER FOR 1146 BEGIN END; -- a table that lookalike has not made yet
    SET @lookalike_key = NULL, @lookalike_kept = NULL, @lookalike_metric = 'cosine',
        @lookalike_generation = 0, @lookalike_through = NULL,
        @lookalike_id = 'id', @lookalike_shown_id = 'id',
        @lookalike_name = 'image_name', @lookalike_vector = 'embedding',
        @lookalike_id_type = NULL, @lookalike_vector_type = NULL,
        @lookalike_schema = DATABASE(), @lookalike_table = index_name;
    -- A view numbers the rows of a table whose key is no integer.
    SELECT CONCAT('lookalike_', number), COALESCE(IF(is_mapped, NULL, schema_name), DATABASE()),
           IF(is_mapped, CONCAT('lookalike_', number, '_rows'), table_name),
           IF(is_mapped, 'lookalike_id', id_column), id_column, name_column,
           vector_column, metric, kept
        INTO @lookalike_key, @lookalike_schema, @lookalike_table, @lookalike_id,
             @lookalike_shown_id, @lookalike_name, @lookalike_vector, @lookalike_metric,
             @lookalike_kept
        FROM lookalike_tables WHERE name = index_name;
    IF @lookalike_key IS NULL THEN
        SET @lookalike_key = index_name;
        SELECT metric INTO @lookalike_metric FROM lookalike_collections WHERE name = index_name;
    END IF;
    SELECT MAX(IF(column_name = @lookalike_id, column_type, NULL)),
           MAX(IF(column_name = @lookalike_shown_id, data_type, NULL)),
           MAX(IF(column_name = @lookalike_vector, column_type, NULL))
        INTO @lookalike_id_type, @lookalike_shown_type, @lookalike_vector_type
        FROM information_schema.columns
        WHERE table_schema = @lookalike_schema AND table_name = @lookalike_table;
    IF @lookalike_id_type IS NULL OR @lookalike_vector_type NOT LIKE 'vector(%' THEN
        SET message = CONCAT('lookalike: no collection or index is named ',
                             COALESCE(LEFT(index_name, 64), 'NULL'));
        SIGNAL SQLSTATE '42S02' SET MESSAGE_TEXT = message;
    END IF;
    SET @lookalike_dim = SUBSTR(@lookalike_vector_type, 8) + 0;
    SELECT generation, seed, unit, n_probes, probe_gap, rescored, trained_rows, rotation
        INTO @lookalike_generation, @lookalike_seed, @lookalike_unit, @lookalike_n_probes,
             @lookalike_gap, @lookalike_rescored, @lookalike_trained, @lookalike_rotation
        FROM lookalike_indexes WHERE collection = @lookalike_key;
    SELECT indexed_through INTO @lookalike_through
        FROM lookalike_index_tails WHERE collection = @lookalike_key;
    CALL lookalike__find_native();
    SET @lookalike_rows = CONCAT(lookalike__quoted(@lookalike_schema), '.',
                                 lookalike__quoted(@lookalike_table)),
        @lookalike_id = CONCAT('v.', lookalike__quoted(@lookalike_id)),
        @lookalike_shown_id = CONCAT('v.', lookalike__quoted(@lookalike_shown_id)),
        @lookalike_vector = CONCAT('v.', lookalike__quoted(@lookalike_vector)),
        @lookalike_name = COALESCE(CONCAT('v.', lookalike__quoted(@lookalike_name)), 'NULL'),
        @lookalike_cells = CONCAT('`', @lookalike_key, '_cells_', @lookalike_generation, '`'),
        @lookalike_codes = CONCAT('`', @lookalike_key, '_codes_', @lookalike_generation, '`');
END //

DROP PROCEDURE IF EXISTS lookalike__find_native //

CREATE PROCEDURE lookalike__find_native()
    READS SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: whether the server has the native functions'
BEGIN
    DECLARE CONTINUE HANDLER FOR 1305, 1370 SET @lookalike_native = FALSE;
    SET @lookalike_native = TRUE;
    SET @lookalike_native = lookalike_native_estimate(0x00, 0x00) = 0;
END //

DROP FUNCTION IF EXISTS lookalike__quoted //

CREATE FUNCTION lookalike__quoted(name TEXT) RETURNS TEXT
    DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: a quoted identifier'
RETURN CONCAT('`', REPLACE(name, '`', '``'), '`') //

DROP PROCEDURE IF EXISTS lookalike__run //

CREATE PROCEDURE lookalike__run(IN statement LONGTEXT)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: run a statement'
BEGIN
    SET @lookalike_statement = statement;
    PREPARE lookalike_statement FROM @lookalike_statement;
    EXECUTE lookalike_statement;
    DEALLOCATE PREPARE lookalike_statement;
END //

DROP PROCEDURE IF EXISTS lookalike__read //

-- Puts the numbers of a vector into the temporary table lookalike__query. Text begins with [ and
-- ends with ]. The bytes of an embedding do not: as the last byte of a number, ] makes it 5e17 or
-- more.
CREATE PROCEDURE lookalike__read(IN vector LONGBLOB)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: read a query'
BEGIN
    DECLARE message VARCHAR(512);
    DECLARE given LONGBLOB DEFAULT vector;
    DECLARE is_text BOOLEAN DEFAULT vector LIKE '[%]';
    DECLARE EXIT HANDLER FOR 3140, 3141, 3853, 3903, 3904, 3906, 6136, 6137, 6138, 6139, 6144
    BEGIN
        SET message = IF(is_text,
            CONCAT('lookalike: this is not a vector of finite numbers: ',
                   LEFT(CONVERT(given USING utf8mb4), 60)),
            'lookalike: the vector has numbers that are not finite');
        SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = message;
    END;
    IF vector IS NULL THEN
        SIGNAL SQLSTATE '22004' SET MESSAGE_TEXT = 'lookalike: the vector is NULL';
    END IF;
    IF is_text THEN
        SET vector = STRING_TO_VECTOR(CONVERT(vector USING utf8mb4));
    END IF;
    IF LENGTH(vector) <> 4 * @lookalike_dim THEN
        SET message = CONCAT('lookalike: the vector has ', LENGTH(vector) / 4,
                             ' numbers, and the index ', @lookalike_dim);
        SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = message;
    END IF;
    SET @lookalike_query = vector;
    DROP TEMPORARY TABLE IF EXISTS lookalike__query;
    CREATE TEMPORARY TABLE lookalike__query (
        i INT UNSIGNED PRIMARY KEY,
        x DOUBLE NOT NULL,
        r INT UNSIGNED NOT NULL,
        KEY in_rows USING BTREE (r)
    ) ENGINE = MEMORY;
    IF @lookalike_native THEN
        SET @lookalike_norm = SQRT(lookalike_native_distance_double(vector, vector, 'DOT'));
    ELSE
        INSERT INTO lookalike__query (i, x, r)
            SELECT n, x, (n - 1) DIV {{width}}
            FROM JSON_TABLE(VECTOR_TO_STRING(vector),
                            '$[*]' COLUMNS (n FOR ORDINALITY, x DOUBLE PATH '$')) AS numbers;
        SELECT SQRT(SUM(x * x)) INTO @lookalike_norm FROM lookalike__query;
    END IF;
    IF @lookalike_norm = 0 AND @lookalike_metric = 'cosine' THEN
        SIGNAL SQLSTATE '22023'
            SET MESSAGE_TEXT = 'lookalike: a vector of zeros has no cosine';
    END IF;
END //

DROP FUNCTION IF EXISTS lookalike__places //

CREATE FUNCTION lookalike__places() RETURNS LONGTEXT
    NOT DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: a JSON array with an item for each row of a rotation'
RETURN CONCAT('[0', REPEAT(',0', CEIL(@lookalike_dim / {{width}}) - 1), ']') //

DROP FUNCTION IF EXISTS lookalike__signs //

-- A bit for each number, 1 where its sign is flipped. places: a JSON array with an item for each 32.
CREATE FUNCTION lookalike__signs(places LONGTEXT) RETURNS LONGBLOB
    NOT DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: the signs of a rotation'
RETURN (
    SELECT UNHEX(GROUP_CONCAT(LEFT(SHA2(CONCAT(@lookalike_seed, ':', n - 1), 256), 8)
                              ORDER BY n SEPARATOR ''))
    FROM JSON_TABLE(places, '$[*]' COLUMNS (n FOR ORDINALITY)) AS line
) //

DROP PROCEDURE IF EXISTS lookalike__rotate //

CREATE PROCEDURE lookalike__rotate(IN length DOUBLE)
    READS SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: rotate and round the query'
BEGIN
    DECLARE places LONGTEXT DEFAULT lookalike__places();
    DECLARE rotated LONGBLOB;
    IF @lookalike_native THEN
        SET rotated = lookalike_native_rotate(@lookalike_query, lookalike__signs(places)),
            @lookalike_step = lookalike_native_step(rotated, {{n_planes}}) / length,
            @lookalike_planes = lookalike_native_planes(rotated, {{n_planes}}),
            {{native_planes}};
    ELSE
        CALL lookalike__rotate_in_sql(places, length);
    END IF;
END //

DROP PROCEDURE IF EXISTS lookalike__rotate_in_sql //

-- Divides the query by a length, rotates it, and rounds it to bit planes @lookalike_p0 and on: a
-- number is about @lookalike_step * (level - {{middle}}).
CREATE PROCEDURE lookalike__rotate_in_sql(IN places LONGTEXT, IN length DOUBLE)
    READS SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: rotate and round the query without native functions'
BEGIN
    DECLARE n_rows INT DEFAULT CEIL(@lookalike_dim / {{width}});
    DECLARE is_power BOOLEAN DEFAULT BIT_COUNT(n_rows) = 1;
    DECLARE digits INT DEFAULT @@SESSION.group_concat_max_len;
    DECLARE signs LONGBLOB DEFAULT lookalike__signs(places);
    SET SESSION group_concat_max_len = 1048576;
{{rotation}}    ), sized AS (
        SELECT *, GREATEST(MAX({{largest}}) OVER () / {{middle}}, 1e-300) AS step FROM turned
    ), rounded AS (
        SELECT n, step, {{levels}} FROM sized
    )
    SELECT MAX(step) / SQRT({{width}} * n_rows) / length, {{planes}}
        INTO @lookalike_step, {{plane_variables}}
        FROM rounded;
    SET SESSION group_concat_max_len = digits;
END //

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

DROP FUNCTION IF EXISTS lookalike__width //

CREATE FUNCTION lookalike__width() RETURNS INT
    NOT DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: bytes of a code'
RETURN {{width}} * CEIL(@lookalike_dim / {{width}}) DIV 8 //

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

DROP FUNCTION IF EXISTS lookalike__double //

CREATE FUNCTION lookalike__double(x DOUBLE) RETURNS VARCHAR(40)
    DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: a number as a DOUBLE literal'
RETURN IF(LOCATE('e', x), CAST(x AS CHAR), CONCAT(x, 'e0')) //

DROP PROCEDURE IF EXISTS lookalike__rank //

-- Selects the k best rows of lookalike__found, or of the whole table.
CREATE PROCEDURE lookalike__rank(IN k INT UNSIGNED, IN is_exact BOOLEAN)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: compare rows exactly'
BEGIN
    DECLARE similarity VARCHAR(200) DEFAULT CASE @lookalike_metric
        WHEN 'cosine' THEN 'GREATEST(-1e0, LEAST(1e0, xy / NULLIF(SQRT(xx) * @lookalike_norm, 0)))'
        WHEN 'euclidean' THEN '-SQRT(xx)'
        ELSE 'xy'
    END;
    DECLARE sums VARCHAR(1000) DEFAULT CASE @lookalike_metric
        WHEN 'cosine' THEN 'SUM(q.x * each_number.x) AS xy, SUM(each_number.x * each_number.x) AS xx'
        WHEN 'euclidean' THEN 'SUM((q.x - each_number.x) * (q.x - each_number.x)) AS xx'
        ELSE 'SUM(q.x * each_number.x) AS xy'
    END;
    DECLARE head VARCHAR(200) DEFAULT '';
    IF @lookalike_native THEN
        SET sums = '', similarity = CONCAT(
            CASE @lookalike_metric WHEN 'cosine' THEN '1e0 - ' WHEN 'euclidean' THEN '-' ELSE '' END,
            'lookalike_native_distance_double(', @lookalike_vector, ', @lookalike_query, ''',
            UPPER(@lookalike_metric), ''')');
    ELSE
        SET sums = CONCAT('
    JOIN LATERAL (
        SELECT STRAIGHT_JOIN ', sums, '
        FROM JSON_TABLE(VECTOR_TO_STRING(', @lookalike_vector, '),
                        ''$[*]'' COLUMNS (n FOR ORDINALITY, x DOUBLE PATH ''$'')) AS each_number
        JOIN lookalike__query AS q ON q.i = each_number.n
    ) AS sums');
    END IF;
    IF @lookalike_into THEN
        DROP TEMPORARY TABLE IF EXISTS lookalike_result;
        SET head = 'CREATE TEMPORARY TABLE lookalike_result
            (place INT UNSIGNED AUTO_INCREMENT PRIMARY KEY) ';
    END IF;
    CALL lookalike__run(CONCAT(head, '
SELECT id, name, similarity FROM (
    SELECT ', @lookalike_shown_id, ' AS id, ', @lookalike_name, ' AS name, ', similarity, ' AS similarity
    FROM ', IF(is_exact, '', 'lookalike__found AS f STRAIGHT_JOIN '), @lookalike_rows, ' AS v',
        IF(is_exact, '', CONCAT(' ON ', @lookalike_id, ' = f.id')), sums, '
    WHERE ', lookalike__passing(), '
    HAVING similarity IS NOT NULL ORDER BY similarity DESC, id LIMIT ', k, '
) AS best', COALESCE(CONCAT(' WHERE similarity >= ', lookalike__double(@lookalike_least)), ''), '
ORDER BY similarity DESC, id'));
END //

DROP FUNCTION IF EXISTS lookalike__passing //

CREATE FUNCTION lookalike__passing() RETURNS LONGTEXT
    NOT DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: the condition of rows that a search may return'
RETURN CONCAT(
    @lookalike_vector, ' IS NOT NULL AND LENGTH(', @lookalike_vector, ') = ', 4 * @lookalike_dim,
    @lookalike_condition,
    COALESCE(CONCAT(' AND ', @lookalike_shown_id, ' <> ', @lookalike_but), '')) //

DROP FUNCTION IF EXISTS lookalike__key //

-- Returns the SQL of a key that was given as text.
CREATE FUNCTION lookalike__key(given LONGBLOB) RETURNS LONGTEXT
    NOT DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: the SQL of a key'
BEGIN
    IF @lookalike_shown_type LIKE '%int' THEN
        RETURN IF(REGEXP_LIKE(CONVERT(given USING latin1), '^-?[0-9]{1,20}$'),
                  CONVERT(given USING latin1), 'NULL');
    END IF;
    RETURN CONCAT(IF(@lookalike_shown_type LIKE '%binary', '_binary 0x', '_utf8mb4 0x'), HEX(given));
END //

DROP PROCEDURE IF EXISTS lookalike__search //

-- Searches for the numbers in lookalike__query; again if a new generation has replaced the index.
CREATE PROCEDURE lookalike__search(IN index_name TEXT, IN k INT UNSIGNED, IN options JSON)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: search for the query'
BEGIN
    DECLARE is_replaced BOOLEAN DEFAULT TRUE;
    DECLARE is_exact BOOLEAN DEFAULT COALESCE(JSON_EXTRACT(options, '$.exact') = TRUE, FALSE);
    DECLARE tries INT DEFAULT 0;
    WHILE is_replaced AND NOT is_exact AND tries < 5 DO
        BEGIN
            DECLARE CONTINUE HANDLER FOR 1146 SET is_replaced = TRUE;
            SET is_replaced = FALSE, tries = tries + 1;
            CALL lookalike__probe(k, JSON_EXTRACT(options, '$.n_probes'), is_exact);
        END;
        IF is_replaced THEN
            CALL lookalike__open(index_name);
        END IF;
    END WHILE;
    CALL lookalike__rank(k, is_exact OR is_replaced); -- replaced for ever: its tables are gone
    DROP TEMPORARY TABLE IF EXISTS lookalike__found, lookalike__query;
END //

DROP PROCEDURE IF EXISTS lookalike__probe //

-- Collects rows in lookalike__found, from more and more cells until k of them can be returned.
-- is_exact: that comparing all rows is as quick.
CREATE PROCEDURE lookalike__probe(IN k INT UNSIGNED, IN n_probes JSON, OUT is_exact BOOLEAN)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: search cells'
BEGIN
    DECLARE n_rows, least, coded, alive, wanted, probes BIGINT UNSIGNED;
    DECLARE further DOUBLE;
    SET probes = COALESCE(n_probes, @lookalike_n_probes, 0),
        is_exact = @lookalike_generation = 0 OR @lookalike_rotation <> 'factored' OR probes = 0;
    IF NOT is_exact THEN
        CALL lookalike__rotate(IF(@lookalike_metric = 'euclidean', @lookalike_unit, @lookalike_norm));
        CALL lookalike__run(CONCAT('SELECT MAX(cell) + 1 INTO @lookalike_n_cells FROM ',
                                   @lookalike_cells));
        SET n_rows = CEIL(GREATEST(@lookalike_rescored, {{least_rescored}})
                          * GREATEST(1, {{oversampling}} * k / {{least_rescored}})),
            least = n_rows;
    END IF;
    search: WHILE NOT is_exact DO
        DROP TEMPORARY TABLE IF EXISTS lookalike__found;
        CALL lookalike__run(CONCAT(
            'CREATE TEMPORARY TABLE lookalike__found (id ', @lookalike_id_type,
            ' PRIMARY KEY, is_coded BOOLEAN NOT NULL) ENGINE = MEMORY'));
        SET further = SQRT(GREATEST(1, n_rows / GREATEST(@lookalike_rescored, 1))),
            wanted = CEIL(2 * n_rows * @lookalike_n_cells / GREATEST(@lookalike_trained, 1)),
            wanted = LEAST(IF(n_probes IS NULL, wanted, probes), @lookalike_n_cells);
        CALL lookalike__shortlist(
            LEAST(GREATEST(wanted, CEIL(probes * further)), @lookalike_n_cells),
            IF(n_probes IS NULL, @lookalike_gap * further, 0), wanted, n_rows);
        CALL lookalike__run(CONCAT(
            'SELECT COUNT(*), SUM(is_coded), SUM(is_coded AND ', lookalike__passing(), ') INTO ',
            '@lookalike_n_found, @lookalike_n_coded, @lookalike_n_alive FROM lookalike__found AS f ',
            'LEFT JOIN ', @lookalike_rows, ' AS v ON ', @lookalike_id, ' = f.id'));
        SET coded = COALESCE(@lookalike_n_coded, 0), alive = COALESCE(@lookalike_n_alive, 0);
        IF @lookalike_n_found - coded + alive >= k AND (alive = coded OR alive >= least / 2)
           OR wanted >= @lookalike_n_cells AND coded < n_rows THEN -- or every row was compared
            LEAVE search;
        END IF;
        SET probes = 4 * probes, n_rows = 4 * n_rows, is_exact = n_rows > 200000;
    END WHILE;
END //

DROP PROCEDURE IF EXISTS lookalike__check //

-- Checks k and options, and turns `where` into @lookalike_condition.
CREATE PROCEDURE lookalike__check(IN k INT, IN options JSON)
    READS SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: check the options of a search'
BEGIN
    DECLARE message VARCHAR(512);
    DECLARE option_name TEXT;
    IF k IS NULL OR k NOT BETWEEN 1 AND {{max_k}} THEN
        SET message = CONCAT('lookalike: k is ', COALESCE(k, 'NULL'), '; ask for 1 to {{max_k}} rows');
        SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = message;
    END IF;
    SET @lookalike_condition = '', @lookalike_values = JSON_ARRAY(), @lookalike_but = NULL,
        @lookalike_least = NULL;
    IF options IS NULL OR JSON_TYPE(options) = 'NULL' THEN
        SET options = JSON_OBJECT();
    END IF;
    IF JSON_TYPE(options) <> 'OBJECT' THEN
        SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = 'lookalike: the options are no JSON object';
    END IF;
    SELECT name INTO option_name
        FROM JSON_TABLE(JSON_KEYS(options), '$[*]' COLUMNS (name TEXT PATH '$')) AS given
        WHERE name NOT IN ('where', 'min_similarity', 'n_probes', 'exact') LIMIT 1;
    IF option_name IS NOT NULL THEN
        SET message = CONCAT('lookalike: there is no option ', LEFT(option_name, 60),
                             '; there are where, min_similarity, n_probes and exact');
        SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = message;
    END IF;
    IF JSON_TYPE(JSON_EXTRACT(options, '$.min_similarity')) NOT IN ('INTEGER', 'UNSIGNED INTEGER', 'DOUBLE',
                                                      'DECIMAL', 'NULL') THEN
        SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = 'lookalike: min_similarity is no number';
    END IF;
    SET @lookalike_least = JSON_EXTRACT(options, '$.min_similarity'),
        @lookalike_least = @lookalike_least - 1e-6 * GREATEST(1, ABS(@lookalike_least)); -- rounding
    IF JSON_EXTRACT(options, '$.n_probes') IS NOT NULL AND
       (JSON_TYPE(JSON_EXTRACT(options, '$.n_probes')) NOT IN ('INTEGER', 'UNSIGNED INTEGER')
        OR JSON_EXTRACT(options, '$.n_probes') NOT BETWEEN 1 AND 65535) THEN
        SIGNAL SQLSTATE '22023'
            SET MESSAGE_TEXT = 'lookalike: n_probes is no number of cells, 1 to 65535';
    END IF;
    IF JSON_EXTRACT(options, '$.where') IS NOT NULL THEN
        CALL lookalike__filter(JSON_EXTRACT(options, '$.where'));
    END IF;
END //

DROP PROCEDURE IF EXISTS lookalike__search_for //

CREATE PROCEDURE lookalike__search_for(
    IN index_name TEXT, IN vector LONGBLOB, IN k INT, IN options JSON, IN is_into BOOLEAN)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: what is most similar to a vector'
BEGIN
    SET @lookalike_into = is_into;
    CALL lookalike__open(index_name);
    CALL lookalike__check(k, options);
    CALL lookalike__read(vector);
    CALL lookalike__search(index_name, k, options);
END //

DROP PROCEDURE IF EXISTS lookalike__search_near //

CREATE PROCEDURE lookalike__search_near(
    IN index_name TEXT, IN row_id LONGBLOB, IN k INT, IN options JSON, IN is_into BOOLEAN)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: what is most similar to a stored row'
BEGIN
    DECLARE message VARCHAR(512);
    SET @lookalike_into = is_into;
    CALL lookalike__open(index_name);
    CALL lookalike__check(k, options);
    SET @lookalike_but = lookalike__key(row_id), @lookalike_stored = NULL;
    CALL lookalike__run(CONCAT(
        'SELECT CAST(', @lookalike_vector, ' AS BINARY) INTO @lookalike_stored FROM ',
        @lookalike_rows, ' AS v WHERE ', @lookalike_shown_id, ' = ', @lookalike_but));
    IF @lookalike_stored IS NULL THEN
        SET message = CONCAT('lookalike: ', LEFT(index_name, 64), ' has no row with id ',
                             COALESCE(LEFT(CONVERT(row_id USING latin1), 60), 'NULL'));
        SIGNAL SQLSTATE '02000' SET MESSAGE_TEXT = message;
    END IF;
    CALL lookalike__read(@lookalike_stored);
    CALL lookalike__search(index_name, k, options);
END //

DROP PROCEDURE IF EXISTS lookalike_search //

CREATE PROCEDURE lookalike_search(IN index_name TEXT, IN vector LONGBLOB, IN k INT)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: what is most similar to a vector'
    CALL lookalike__search_for(index_name, vector, k, NULL, FALSE) //

DROP PROCEDURE IF EXISTS lookalike_search_with //

CREATE PROCEDURE lookalike_search_with(
    IN index_name TEXT, IN vector LONGBLOB, IN k INT, IN options JSON)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: what is most similar to a vector, with options'
    CALL lookalike__search_for(index_name, vector, k, options, FALSE) //

DROP PROCEDURE IF EXISTS lookalike_search_into //

CREATE PROCEDURE lookalike_search_into(
    IN index_name TEXT, IN vector LONGBLOB, IN k INT, IN options JSON)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: what is most similar to a vector, into lookalike_result'
    CALL lookalike__search_for(index_name, vector, k, options, TRUE) //

DROP PROCEDURE IF EXISTS lookalike_similar //

CREATE PROCEDURE lookalike_similar(IN index_name TEXT, IN row_id LONGBLOB, IN k INT)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: what is most similar to a stored row'
    CALL lookalike__search_near(index_name, row_id, k, NULL, FALSE) //

DROP PROCEDURE IF EXISTS lookalike_similar_into //

CREATE PROCEDURE lookalike_similar_into(
    IN index_name TEXT, IN row_id LONGBLOB, IN k INT, IN options JSON)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: what is most similar to a stored row, into lookalike_result'
    CALL lookalike__search_near(index_name, row_id, k, options, TRUE) //
