-- PostgreSQL: tokens that stand for one account, and can do nothing but speak for it.

ALTER TABLE tokens ADD COLUMN account BIGINT;
