import java.sql.*; // Images like a stored one: java -cp mariadb-java-client.jar Search.java cat.jpg

class Search {
    public static void main(String[] names) throws SQLException {
        try (var db = DriverManager.getConnection(System.getenv("JDBC_URL"))) {
            // A vector is read as bytes: JDBC does not know the type VECTOR.
            var stored = db.prepareStatement(
                "SELECT id, CAST(embedding AS BINARY) FROM image_embeddings WHERE image_name = ?");
            stored.setString(1, names[0]);
            var image = stored.executeQuery();
            if (!image.next()) throw new SQLException("There is no image " + names[0]);
            for (var procedure : new String[] {"lookalike_similar", "lookalike_search"}) {
                var call = db.prepareCall("{CALL " + procedure + "('image_embeddings', ?, 5)}");
                if (procedure.endsWith("similar")) call.setLong(1, image.getLong(1)); // by its id
                else call.setBytes(1, image.getBytes(2)); // by any vector: bytes, or "[0.1, ...]"
                for (var rows = call.executeQuery(); rows.next();)
                    System.out.printf("%d\t%s\t%.6f%n", rows.getLong(1), rows.getString(2), rows.getDouble(3));
            } } } }
