DELETE FROM image_use WHERE digest = ?1;
