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

DROP PROCEDURE IF EXISTS lookalike__answer //

-- Searches for a vector or, if is_row, for the row whose id is given.
CREATE PROCEDURE lookalike__answer(IN index_name TEXT, IN given LONGBLOB, IN is_row BOOLEAN,
                                   IN k INT, IN options JSON, IN is_into BOOLEAN)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: what is most similar to a vector or to a stored row'
BEGIN
    DECLARE digits BIGINT UNSIGNED DEFAULT @@SESSION.group_concat_max_len;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        SET SESSION group_concat_max_len = digits;
        RESIGNAL;
    END;
    SET SESSION group_concat_max_len = 1048576;
    SET @lookalike_into = is_into;
    CALL lookalike__open(index_name);
    CALL lookalike__check(k, options);
    IF is_row THEN
        CALL lookalike__find_row(index_name, given);
        SET given = @lookalike_stored;
    END IF;
    CALL lookalike__read(given);
    CALL lookalike__search(index_name, k, options);
    SET SESSION group_concat_max_len = digits;
END //

DROP PROCEDURE IF EXISTS lookalike__find_row //

-- Puts the embedding of a row into @lookalike_stored, and leaves the row out of the results.
CREATE PROCEDURE lookalike__find_row(IN index_name TEXT, IN row_id LONGBLOB)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: find a stored row'
BEGIN
    DECLARE message VARCHAR(512);
    SET @lookalike_but = lookalike__key(row_id), @lookalike_stored = NULL;
    CALL lookalike__run(CONCAT(
        'SELECT CAST(', @lookalike_vector, ' AS BINARY) INTO @lookalike_stored FROM ',
        @lookalike_rows, ' AS v WHERE ', @lookalike_shown_id, ' = ',
        COALESCE(@lookalike_but, 'NULL')));
    IF @lookalike_stored IS NULL THEN
        SET message = CONCAT('lookalike: ', LEFT(index_name, 64), ' has no row with id ',
                             COALESCE(LEFT(CONVERT(row_id USING latin1), 60), 'NULL'));
        SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = message;
    END IF;
END //

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
    RETURN CONCAT(IF(@lookalike_shown_type LIKE '%binary', '_binary X''', '_utf8mb4 X'''), HEX(given),
                  '''');
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
    DROP TEMPORARY TABLE IF EXISTS lookalike__found, lookalike__query, lookalike__pairs;
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
    DECLARE sums TEXT DEFAULT CASE @lookalike_metric
        WHEN 'cosine' THEN 'SUM(q.a * «a» + q.b * «b») AS xy, SUM(«a» * «a» + «b» * «b») AS xx'
        WHEN 'euclidean' THEN 'SUM(POW(q.a - «a», 2) + POW(q.b - «b», 2)) AS xx'
        ELSE 'SUM(q.a * «a» + q.b * «b») AS xy'
    END;
    DECLARE head VARCHAR(200) DEFAULT '';
    IF @lookalike_native THEN
        SET sums = '', similarity = CONCAT(
            CASE @lookalike_metric WHEN 'cosine' THEN '1e0 - ' WHEN 'euclidean' THEN '-' ELSE '' END,
            'lookalike_native_distance_double(', @lookalike_vector, ', @lookalike_query, ''',
            UPPER(@lookalike_metric), ''')');
    ELSE
        SET sums = REPLACE(REPLACE(sums, '«a»', '(line.a * {{unit}})'), '«b»', '(line.b * {{unit}})'),
            sums = CONCAT('
    JOIN LATERAL (
        SELECT STRAIGHT_JOIN ', sums, ' FROM ', lookalike__line(@lookalike_vector), '
        JOIN lookalike__pairs AS q ON q.n = line.n
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

DROP PROCEDURE IF EXISTS lookalike_search //

CREATE PROCEDURE lookalike_search(IN index_name TEXT, IN vector LONGBLOB, IN k INT)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: what is most similar to a vector'
    CALL lookalike__answer(index_name, vector, FALSE, k, NULL, FALSE) //

DROP PROCEDURE IF EXISTS lookalike_search_with //

CREATE PROCEDURE lookalike_search_with(
    IN index_name TEXT, IN vector LONGBLOB, IN k INT, IN options JSON)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: what is most similar to a vector, with options'
    CALL lookalike__answer(index_name, vector, FALSE, k, options, FALSE) //

DROP PROCEDURE IF EXISTS lookalike_search_into //

CREATE PROCEDURE lookalike_search_into(
    IN index_name TEXT, IN vector LONGBLOB, IN k INT, IN options JSON)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: what is most similar to a vector, into lookalike_result'
    CALL lookalike__answer(index_name, vector, FALSE, k, options, TRUE) //

DROP PROCEDURE IF EXISTS lookalike_similar //

CREATE PROCEDURE lookalike_similar(IN index_name TEXT, IN row_id LONGBLOB, IN k INT)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: what is most similar to a stored row'
    CALL lookalike__answer(index_name, row_id, TRUE, k, NULL, FALSE) //

DROP PROCEDURE IF EXISTS lookalike_similar_into //

CREATE PROCEDURE lookalike_similar_into(
    IN index_name TEXT, IN row_id LONGBLOB, IN k INT, IN options JSON)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: what is most similar to a stored row, into lookalike_result'
    CALL lookalike__answer(index_name, row_id, TRUE, k, options, TRUE) //
