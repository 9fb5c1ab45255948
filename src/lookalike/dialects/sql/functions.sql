-- lookalike's SQL functions for MySQL 9, which has a VECTOR type and no arithmetic on it.
--
--   my_dot_product(v1, v2)      the dot product
--   my_vec_norm(v)              the Euclidean norm
--   DISTANCE(v1, v2, metric)    'COSINE', 'EUCLIDEAN' or 'DOT' in any letter case, with the
--                               signs of MySQL AI: DOT is the dot product itself
--   lookalike_distance(v1, v2, metric)    the same, or the server's own DISTANCE if it has one
--   lookalike_version()         the version of lookalike that made these
--
-- Each returns NULL for NULL and refuses vectors of unequal lengths. They are exact: a VECTOR
-- holds little-endian float32 numbers, and each is read from its own bits, as IEEE 754 defines
-- them: (1 + fraction / 2^23) * 2^(exponent - 127), or fraction * 2^-149 where the exponent's
-- bits are zero. VECTOR_TO_STRING keeps six digits only. REVERSE makes the bytes big-endian for
-- HEX, and puts the numbers in reverse order, which changes no sum.
--
-- Load with: mysql DATABASE < functions.sql

DELIMITER //

DROP FUNCTION IF EXISTS my_dot_product //

CREATE FUNCTION my_dot_product(v1 VECTOR(16383), v2 VECTOR(16383)) RETURNS DOUBLE
    DETERMINISTIC CONTAINS SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: the dot product of two vectors'
BEGIN
    DECLARE hex1 LONGTEXT CHARACTER SET latin1 DEFAULT HEX(REVERSE(CAST(v1 AS BINARY)));
    DECLARE hex2 LONGTEXT CHARACTER SET latin1 DEFAULT HEX(REVERSE(CAST(v2 AS BINARY)));
    IF LENGTH(hex1) <> LENGTH(hex2) THEN
        SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = 'my_dot_product: the vectors differ in length';
    END IF;
    RETURN (
        SELECT /*+ NO_MERGE(bits) */ SUM(
            IF(a >> 31, -1e0, 1e0)
            * IF(a & 0x7F800000,
                 (1 + (a & 0x7FFFFF) / 8388608e0) * POW(2, (a >> 23 & 255) - 127e0),
                 (a & 0x7FFFFF) * POW(2, -149e0))
            * IF(b >> 31, -1e0, 1e0)
            * IF(b & 0x7F800000,
                 (1 + (b & 0x7FFFFF) / 8388608e0) * POW(2, (b >> 23 & 255) - 127e0),
                 (b & 0x7FFFFF) * POW(2, -149e0)))
        FROM (
            SELECT CAST(CONV(SUBSTR(hex1, 8 * n - 7, 8), 16, 10) AS UNSIGNED) AS a,
                   CAST(CONV(SUBSTR(hex2, 8 * n - 7, 8), 16, 10) AS UNSIGNED) AS b
            FROM JSON_TABLE(
                CONCAT('[0', REPEAT(',0', VECTOR_DIM(v1) - 1), ']'),
                '$[*]' COLUMNS (n FOR ORDINALITY)) AS positions
        ) AS bits
    );
END //

DROP FUNCTION IF EXISTS my_vec_norm //

CREATE FUNCTION my_vec_norm(v VECTOR(16383)) RETURNS DOUBLE
    DETERMINISTIC CONTAINS SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: the Euclidean norm of a vector'
BEGIN
    DECLARE hex1 LONGTEXT CHARACTER SET latin1 DEFAULT HEX(REVERSE(CAST(v AS BINARY)));
    RETURN (
        SELECT /*+ NO_MERGE(bits) */ SQRT(SUM(POW(
            IF(a & 0x7F800000,
               (1 + (a & 0x7FFFFF) / 8388608e0) * POW(2, (a >> 23 & 255) - 127e0),
               (a & 0x7FFFFF) * POW(2, -149e0)), 2)))
        FROM (
            SELECT CAST(CONV(SUBSTR(hex1, 8 * n - 7, 8), 16, 10) AS UNSIGNED) AS a
            FROM JSON_TABLE(
                CONCAT('[0', REPEAT(',0', VECTOR_DIM(v) - 1), ']'),
                '$[*]' COLUMNS (n FOR ORDINALITY)) AS positions
        ) AS bits
    );
END //

DROP FUNCTION IF EXISTS DISTANCE //

CREATE FUNCTION DISTANCE(v1 VECTOR(16383), v2 VECTOR(16383), metric TEXT) RETURNS DOUBLE
    DETERMINISTIC CONTAINS SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: COSINE, EUCLIDEAN or DOT of two vectors, as in MySQL AI'
BEGIN
    DECLARE hex1 LONGTEXT CHARACTER SET latin1 DEFAULT HEX(REVERSE(CAST(v1 AS BINARY)));
    DECLARE hex2 LONGTEXT CHARACTER SET latin1 DEFAULT HEX(REVERSE(CAST(v2 AS BINARY)));
    DECLARE message VARCHAR(128);
    DECLARE xy, xx, yy, differences DOUBLE;
    IF v1 IS NULL OR v2 IS NULL OR metric IS NULL THEN
        RETURN NULL;
    END IF;
    IF UPPER(metric) NOT IN ('COSINE', 'EUCLIDEAN', 'DOT') THEN
        SET message = CONCAT(
            'DISTANCE: the metric is COSINE, EUCLIDEAN or DOT, not ', LEFT(metric, 40));
        SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = message;
    END IF;
    IF LENGTH(hex1) <> LENGTH(hex2) THEN
        SIGNAL SQLSTATE '22023' SET MESSAGE_TEXT = 'DISTANCE: the vectors differ in length';
    END IF;
    SELECT /*+ NO_MERGE(numbers) */
        SUM(x * y), SUM(x * x), SUM(y * y), SUM((x - y) * (x - y))
        INTO xy, xx, yy, differences
        FROM (
            SELECT /*+ NO_MERGE(bits) */
                   IF(a >> 31, -1e0, 1e0)
                   * IF(a & 0x7F800000,
                        (1 + (a & 0x7FFFFF) / 8388608e0) * POW(2, (a >> 23 & 255) - 127e0),
                        (a & 0x7FFFFF) * POW(2, -149e0)) AS x,
                   IF(b >> 31, -1e0, 1e0)
                   * IF(b & 0x7F800000,
                        (1 + (b & 0x7FFFFF) / 8388608e0) * POW(2, (b >> 23 & 255) - 127e0),
                        (b & 0x7FFFFF) * POW(2, -149e0)) AS y
            FROM (
                SELECT CAST(CONV(SUBSTR(hex1, 8 * n - 7, 8), 16, 10) AS UNSIGNED) AS a,
                       CAST(CONV(SUBSTR(hex2, 8 * n - 7, 8), 16, 10) AS UNSIGNED) AS b
                FROM JSON_TABLE(
                    CONCAT('[0', REPEAT(',0', VECTOR_DIM(v1) - 1), ']'),
                    '$[*]' COLUMNS (n FOR ORDINALITY)) AS positions
            ) AS bits
        ) AS numbers;
    RETURN CASE UPPER(metric)
        WHEN 'COSINE' THEN 1 - xy / NULLIF(SQRT(xx) * SQRT(yy), 0)
        WHEN 'EUCLIDEAN' THEN SQRT(differences)
        ELSE xy
    END;
END //

DROP FUNCTION IF EXISTS lookalike_distance //

CREATE FUNCTION lookalike_distance(v1 LONGBLOB, v2 LONGBLOB, metric TEXT) RETURNS DOUBLE
    DETERMINISTIC CONTAINS SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: COSINE, EUCLIDEAN or DOT of two vectors'
    RETURN DISTANCE(v1, v2, metric) //

DROP FUNCTION IF EXISTS lookalike_version //

CREATE FUNCTION lookalike_version() RETURNS VARCHAR(32)
    DETERMINISTIC NO SQL SQL SECURITY INVOKER
    COMMENT 'lookalike: the version of these functions'
    RETURN '{{version}}' //

DELIMITER ;
