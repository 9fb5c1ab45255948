import java.sql.*; // Images like a stored one: java -cp mariadb-java-client.jar Search.java cat.jpg [products]

class Search {
    public static void main(String[] names) throws SQLException {
        try (var db = DriverManager.getConnection(System.getenv("JDBC_URL"))) {
            // A vector is read as bytes: JDBC does not know the type VECTOR.
            var stored = db.prepareStatement(
                "SELECT id, CAST(embedding AS BINARY) FROM image_embeddings WHERE image_name = ?");
            stored.setString(1, names[0]);
            var image = stored.executeQuery();
            if (!image.next()) throw new SQLException("There is no image " + names[0]);
            var similar = db.prepareCall("{CALL lookalike_similar('image_embeddings', ?, 5)}");
            similar.setLong(1, image.getLong(1)); // by its id
            var search = db.prepareCall("{CALL lookalike_search(?, ?, 5)}"); // by any vector, in any index
            search.setString(1, names.length > 1 ? names[1] : "image_embeddings");
            search.setBytes(2, image.getBytes(2)); // bytes, or setString: "[0.1, ...]"
            for (var call : new CallableStatement[] {similar, search}) for (var rows = call.executeQuery(); rows.next();)
                System.out.printf("%s\t%s\t%.6f%n", rows.getString(1), rows.getString(2), rows.getDouble(3));
        } } }
