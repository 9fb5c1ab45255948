-- sys.ML_SIMILARITY_SEARCH for MySQL Community: what the vector store of Oracle's Python client
-- (mysql.ai, MyVectorStore) calls on MySQL AI.
--
-- Where the database {{schema}} has an index of a table's column with the same metric, that
-- table is searched through the index, by lookalike_search_into there. Of every other table it
-- compares all rows. It has no result sets, and makes and drops temporary tables only, so that it
-- can run inside a transaction.
--
--   query_embedding       a VECTOR or its bytes
--   tables                '["schema.table", ...]'; "`schema`.`table`" for names with dots
--   columns_              '{"segment": ..., "segment_embedding": ..., "document_name": ...}':
--                         names of columns; only segment_embedding is required
--   k                     how many segments
--   metric                COSINE, EUCLIDEAN or DOT in any letter case
--   reserved1, reserved2  NULL
--   options               max_distance: leave out segments that are farther away;
--                         percentage_distance: leave out those that are farther away than the
--                         nearest one by more than this share; segment_overlap: 0.
--                         With DOT the distance that they are compared with is minus the product.
--   context               the segments, one per line, nearest first
--   context_map           [{"segment", "distance", "document_name", "vector_store"}, ...], nearest
--                         first; distance as DISTANCE returns it; [] if there is none
--   retrieval_info        what was searched
--
-- How distances are computed: a VECTOR holds float32 numbers, and MySQL reads float64 numbers out
-- of the well-known binary form of a geometry, all with one call. So the bytes are reversed (then
-- each number is big-endian) and every number is widened to 8 bytes by shifts of the whole string:
-- its sign goes to bit 63, its exponent and fraction to the bits below 60. That float64 is the
-- number times 2^-896, exactly, also for subnormal numbers and 0. Two numbers make a point, the
-- points a line, and JSON_TABLE returns its coordinates. The numbers come in another order than in
-- the vector, the same one for both vectors, which changes no sum.
--
-- Load with: mysql DATABASE < mysql_ai.sql

DELIMITER //

DROP PROCEDURE IF EXISTS sys.ML_SIMILARITY_SEARCH //

CREATE PROCEDURE sys.ML_SIMILARITY_SEARCH(
    IN query_embedding LONGBLOB, IN tables JSON, IN columns_ JSON, IN k INT UNSIGNED,
    IN metric VARCHAR(64), IN reserved1 JSON, IN reserved2 JSON, IN options JSON,
    OUT context LONGTEXT, OUT context_map JSON, OUT retrieval_info JSON)
    MODIFIES SQL DATA SQL SECURITY INVOKER
    COMMENT 'lookalike: the segments nearest to an embedding'
BEGIN
    DECLARE dim INT DEFAULT LENGTH(query_embedding) DIV 4;
    DECLARE points INT DEFAULT 2 * CEIL(dim / 4);
    DECLARE position, other_dim INT DEFAULT 0;
    DECLARE max_distance, percentage DOUBLE;
    DECLARE message, line, sums, distance, query, selects, shortlist LONGTEXT CHARACTER SET utf8mb4;
    DECLARE name, in_schema, in_table, embedding, segment, document, index_name, id_column,
        id_type VARCHAR(300)
        CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

    -- Check the arguments.
    SET message = CASE
        WHEN query_embedding IS NULL THEN 'query_embedding is NULL'
        WHEN dim NOT BETWEEN 1 AND 16383 OR LENGTH(query_embedding) % 4
            THEN 'query_embedding is not a VECTOR: give STRING_TO_VECTOR(...)'
        WHEN metric IS NULL OR UPPER(metric) NOT IN ('COSINE', 'EUCLIDEAN', 'DOT')
            THEN CONCAT('the metric is COSINE, EUCLIDEAN or DOT, not ',
                        COALESCE(LEFT(metric, 40), 'NULL'))
        WHEN k IS NULL THEN 'k is NULL'
        WHEN tables IS NULL OR JSON_TYPE(tables) <> 'ARRAY' OR JSON_LENGTH(tables) = 0
            THEN 'tables is not an array such as ["schema.table"]'
        WHEN columns_ IS NULL OR JSON_TYPE(columns_) <> 'OBJECT' OR JSON_LENGTH(JSON_REMOVE(
                columns_, '$.segment', '$.segment_embedding', '$.document_name')) > 0
            THEN 'columns is not an object of segment, segment_embedding and document_name'
        WHEN reserved1 IS NOT NULL OR reserved2 IS NOT NULL
            THEN 'the two arguments before options have to be NULL'
        WHEN JSON_TYPE(options) NOT IN ('OBJECT', 'NULL')
            OR JSON_TYPE(options) = 'OBJECT' AND JSON_LENGTH(JSON_REMOVE(options,
                '$.max_distance', '$.percentage_distance', '$.segment_overlap')) > 0
            THEN 'options are max_distance, percentage_distance and segment_overlap'
        WHEN JSON_TYPE(options->'$.max_distance')
                NOT IN ('INTEGER', 'UNSIGNED INTEGER', 'DECIMAL', 'DOUBLE', 'NULL')
            THEN 'max_distance is not a number'
        WHEN JSON_TYPE(options->'$.percentage_distance')
                NOT IN ('INTEGER', 'UNSIGNED INTEGER', 'DECIMAL', 'DOUBLE', 'NULL')
            THEN 'percentage_distance is not a number'
        WHEN options->>'$.segment_overlap' NOT IN ('0', 'null')
            THEN 'segment_overlap has to be 0'
    END;
    IF message IS NOT NULL THEN
        SET message = CONCAT('ML_SIMILARITY_SEARCH: ', message);
        SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = message;
    END IF;
    SET metric = UPPER(metric);
    SET max_distance = JSON_VALUE(options, '$.max_distance' RETURNING DOUBLE);
    SET percentage = JSON_VALUE(options, '$.percentage_distance' RETURNING DOUBLE);

    -- The distance. 5.282945311356653e269 is 2^896; `query` has the numbers of the query.
    SET @lookalike_query = query_embedding;
    SET @lookalike_head = CONCAT(x'0000000002', UNHEX(LPAD(HEX(points), 8, '0')));
    SET @lookalike_pad = REPEAT(x'00', 8 * points - 4 * dim);
    SET @lookalike_sign0 = REPEAT(x'8000000000000000', points);
    SET @lookalike_rest0 = REPEAT(x'7FFFFFFF00000000', points);
    SET @lookalike_sign1 = REPEAT(x'0000000080000000', points);
    SET @lookalike_rest1 = REPEAT(x'000000007FFFFFFF', points);
    SET line = 'JSON_TABLE(
        ST_AsGeoJSON(ST_GeomFromWKB(CONCAT(
            @lookalike_head,
            CONCAT(REVERSE(?), @lookalike_pad) & @lookalike_sign0
                | (CONCAT(REVERSE(?), @lookalike_pad) & @lookalike_rest0) >> 3,
            (CONCAT(REVERSE(?), @lookalike_pad) & @lookalike_sign1) << 32
                | (CONCAT(REVERSE(?), @lookalike_pad) & @lookalike_rest1) << 29))),
        ''$.coordinates[*]'' COLUMNS (
            n FOR ORDINALITY, a DOUBLE PATH ''$[0]'', b DOUBLE PATH ''$[1]'')) AS line';
    SET query = CONCAT(
        'query AS (SELECT n, a * 5.282945311356653e269 AS a, b * 5.282945311356653e269 AS b
        FROM ', REPLACE(line, '?', '@lookalike_query'), ' LIMIT 100000)');
    SET sums = CASE metric
        WHEN 'EUCLIDEAN' THEN
            'SUM(POW(line.a * 5.282945311356653e269 - query.a, 2)
               + POW(line.b * 5.282945311356653e269 - query.b, 2)) AS differences'
        ELSE
            'SUM(line.a * 5.282945311356653e269 * query.a
               + line.b * 5.282945311356653e269 * query.b) AS xy,
             SUM(POW(line.a * 5.282945311356653e269, 2)
               + POW(line.b * 5.282945311356653e269, 2)) AS xx'
    END;
    SET distance = CASE metric
        WHEN 'COSINE' THEN
            '1 - xy / NULLIF(SQRT(xx) * SQRT((SELECT SUM(a * a + b * b) FROM query)), 0)'
        WHEN 'EUCLIDEAN' THEN 'SQRT(differences)'
        ELSE 'xy'
    END;

    -- One SELECT for each table. Every name comes from the data dictionary, and is quoted.
    WHILE position < JSON_LENGTH(tables) DO
        SET name = LEFT(JSON_UNQUOTE(JSON_EXTRACT(tables, CONCAT('$[', position, ']'))), 300);
        SET in_schema = NULL, in_table = NULL, embedding = NULL, segment = NULL, document = NULL;
        IF name LIKE '`%' THEN
            SELECT TABLE_SCHEMA, TABLE_NAME INTO in_schema, in_table
            FROM information_schema.TABLES
            WHERE CONCAT('`', REPLACE(TABLE_SCHEMA, '`', '``'), '`.`',
                         REPLACE(TABLE_NAME, '`', '``'), '`') = name;
        ELSE
            SELECT TABLE_SCHEMA, TABLE_NAME INTO in_schema, in_table
            FROM information_schema.TABLES
            WHERE TABLE_SCHEMA = SUBSTRING_INDEX(name, '.', 1)
              AND TABLE_NAME = SUBSTR(name, LOCATE('.', name) + 1);
        END IF;
        SELECT
            MAX(IF(LOWER(COLUMN_NAME) = LOWER(columns_->>'$.segment_embedding')
                   AND DATA_TYPE = 'vector', COLUMN_NAME, NULL)),
            MAX(IF(LOWER(COLUMN_NAME) = LOWER(columns_->>'$.segment'), COLUMN_NAME, NULL)),
            MAX(IF(LOWER(COLUMN_NAME) = LOWER(columns_->>'$.document_name'), COLUMN_NAME, NULL))
            INTO embedding, segment, document
        FROM information_schema.COLUMNS
        WHERE TABLE_SCHEMA = in_schema AND TABLE_NAME = in_table;
        SET message = CASE
            WHEN in_table IS NULL THEN 'no table'
            WHEN embedding IS NULL THEN CONCAT('no VECTOR column ', COALESCE(
                LEFT(columns_->>'$.segment_embedding', 30), 'NULL'), ' in')
            WHEN columns_->>'$.segment' <> 'null' AND segment IS NULL
                THEN CONCAT('no column ', LEFT(columns_->>'$.segment', 30), ' in')
            WHEN columns_->>'$.document_name' <> 'null' AND document IS NULL
                THEN CONCAT('no column ', LEFT(columns_->>'$.document_name', 30), ' in')
        END;
        IF message IS NOT NULL THEN
            SET message = LEFT(
                CONCAT('ML_SIMILARITY_SEARCH: ', message, ' ', COALESCE(name, 'NULL')), 128);
            SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = message;
        END IF;

        -- Which index there is.
        SET shortlist = NULL, index_name = NULL, id_column = NULL, id_type = NULL;
        BEGIN
            DECLARE EXIT HANDLER FOR NOT FOUND, 1044, 1049, 1054, 1142, 1143, 1146 BEGIN END;
            SELECT indexed.name, indexed.id_column INTO index_name, id_column
            FROM {{schema}}.lookalike_tables AS indexed
            JOIN {{schema}}.lookalike_indexes AS trained
                ON trained.collection = CONCAT('lookalike_', indexed.number)
            WHERE COALESCE(indexed.schema_name, {{name}}) = in_schema
              AND indexed.table_name = in_table AND indexed.vector_column = embedding
              AND indexed.metric = LOWER(metric) AND trained.n_probes > 0
              AND trained.rotation = 'factored' LIMIT 1;
        END;
        IF index_name IS NULL AND in_schema = {{name}} AND embedding = 'embedding' THEN
            BEGIN
                DECLARE EXIT HANDLER FOR NOT FOUND, 1044, 1049, 1054, 1142, 1143, 1146 BEGIN END;
                SELECT trained.collection, 'id' INTO index_name, id_column
                FROM {{schema}}.lookalike_indexes AS trained
                JOIN {{schema}}.lookalike_collections AS known ON known.name = trained.collection
                WHERE trained.collection = in_table AND known.metric = LOWER(metric)
                  AND trained.n_probes > 0 AND trained.rotation = 'factored';
            END;
        END IF;
        SELECT MAX(DATA_TYPE) INTO id_type FROM information_schema.COLUMNS
        WHERE TABLE_SCHEMA = in_schema AND TABLE_NAME = in_table AND COLUMN_NAME = id_column;

        -- The ids of its best rows, as SQL. Whatever keeps them from being found, such as procedures
        -- that are missing or that the caller may not use, lets all rows be compared.
        IF k BETWEEN 1 AND 10000 AND id_type IN (
            'tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal', 'char', 'varchar',
            'binary', 'varbinary', 'date', 'datetime', 'enum')
        THEN
            BEGIN
                DECLARE EXIT HANDLER FOR 1044, 1049, 1142, 1143, 1305, 1370, 1792,
                    SQLSTATE '42S02', SQLSTATE '22023' BEGIN END;
                CALL {{schema}}.lookalike_search_into(index_name, query_embedding, k, NULL);
                SELECT /*+ SET_VAR(group_concat_max_len = 4294967295) */ COALESCE(GROUP_CONCAT(CASE
                    WHEN id_type LIKE '%int' OR id_type = 'decimal' THEN CAST(id AS CHAR)
                    WHEN id_type LIKE '%binary' THEN CONCAT('X''', HEX(id), '''')
                    ELSE CONCAT('_utf8mb4 X''', HEX(CAST(id AS CHAR CHARACTER SET utf8mb4)), '''')
                    END), 'NULL')
                    INTO shortlist FROM {{schema}}.lookalike_result;
                DROP TEMPORARY TABLE {{schema}}.lookalike_result;
            END;
        END IF;

        SET in_table = CONCAT('`', REPLACE(in_schema, '`', '``'), '`.`',
                              REPLACE(in_table, '`', '``'), '`');
        SET embedding = CONCAT('t.`', REPLACE(embedding, '`', '``'), '`');
        SET segment = COALESCE(CONCAT('t.`', REPLACE(segment, '`', '``'), '`'), 'NULL');
        SET document = COALESCE(CONCAT('t.`', REPLACE(document, '`', '``'), '`'), 'NULL');

        -- Vectors of another length cannot be compared; an index has none.
        IF shortlist IS NULL THEN
            SET @lookalike_found = NULL;
            SET @lookalike_sql = CONCAT(
                'SELECT MAX(VECTOR_DIM(', embedding, ')) INTO @lookalike_found FROM ', in_table,
                ' AS t WHERE VECTOR_DIM(', embedding, ') <> ', dim);
            PREPARE lookalike_statement FROM @lookalike_sql;
            EXECUTE lookalike_statement;
            DEALLOCATE PREPARE lookalike_statement;
            IF @lookalike_found IS NOT NULL THEN
                SET message = LEFT(CONCAT('ML_SIMILARITY_SEARCH: the query has ', dim,
                    ' numbers, and ', @lookalike_found, ' has a vector in ', name), 128);
                SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = message;
            END IF;
        END IF;

        -- The distances of a shortlist are computed like all others.
        SET selects = CONCAT_WS(' UNION ALL ', selects, CONCAT(
            '(SELECT CONVERT(X''', HEX(name), ''' USING utf8mb4) AS vector_store,
                CONVERT(', segment, ' USING utf8mb4) AS segment,
                CONVERT(', document, ' USING utf8mb4) AS document_name,
                ', distance, ' AS distance
            FROM ', in_table, ' AS t, LATERAL (
                SELECT ', sums, ' FROM ',
                REPLACE(line, '?', CONCAT('CAST(', embedding, ' AS BINARY)')),
                ' STRAIGHT_JOIN query ON query.n = line.n) AS sums
            WHERE ', COALESCE(CONCAT('t.`', REPLACE(id_column, '`', '``'), '` IN (', shortlist,
                ') AND '), ''), embedding, ' IS NOT NULL AND ', distance, ' IS NOT NULL
            ORDER BY distance ', IF(metric = 'DOT', 'DESC', 'ASC'), ', document_name
            LIMIT ', k, ')'));
        SET position = position + 1;
    END WHILE;

    -- Rank what was found. Rounding makes equal distances differ by less than 1e-9.
    SET @lookalike_sql = CONCAT(
        'WITH ', query, ',
        found AS (SELECT found.*, IF(', metric = 'DOT', ', -distance, distance) AS away
            FROM (', selects, ') AS found),
        ranked AS (SELECT found.*, MIN(away) OVER () AS nearest,
                ROW_NUMBER() OVER (ORDER BY away, document_name, vector_store) AS place
            FROM found)
        SELECT /*+ SET_VAR(group_concat_max_len = 4294967295) */
            CONCAT(''['', GROUP_CONCAT(JSON_OBJECT(
                ''segment'', segment, ''distance'', distance,
                ''document_name'', document_name, ''vector_store'', vector_store)
                ORDER BY place SEPARATOR '',''), '']''),
            GROUP_CONCAT(segment ORDER BY place SEPARATOR X''0A'')
            INTO @lookalike_found, @lookalike_context
        FROM ranked WHERE place <= ', k,
        COALESCE(CONCAT(' AND away <= 1e-9 + ', max_distance), ''),
        COALESCE(CONCAT(' AND away <= 1e-9 + nearest + ABS(nearest) * ', percentage, ' / 100'), ''));
    PREPARE lookalike_statement FROM @lookalike_sql;
    EXECUTE lookalike_statement;
    DEALLOCATE PREPARE lookalike_statement;
    SET context = CONVERT(COALESCE(@lookalike_context, '') USING utf8mb4);
    SET context_map = CONVERT(COALESCE(@lookalike_found, '[]') USING utf8mb4);
    SET retrieval_info = JSON_OBJECT('vector_store', tables, 'distance_metric', metric, 'k', k);
    SET @lookalike_query = NULL, @lookalike_sql = NULL, @lookalike_found = NULL,
        @lookalike_context = NULL;
END //

DELIMITER ;
