"""What the store costs: beside a bare client, beside a dictionary, beside other engines."""
